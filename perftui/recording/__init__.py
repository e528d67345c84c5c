"""What a source told, kept in a file: written as it comes, read from any moment on."""
