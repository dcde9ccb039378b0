"""One typed function per command: read, call the layers below, write every file atomically."""
