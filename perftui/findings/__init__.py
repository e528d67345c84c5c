"""What is wrong with a service, by name: one rule per file. `find.find` asks them all."""
