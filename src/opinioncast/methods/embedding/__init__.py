"""Models on frozen sentence embeddings: features, training, files. The method is ``network``."""
