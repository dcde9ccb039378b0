"""Fine-tuning on response distributions: OpinionTable + base model -> PEFT adapter."""
