"""What is known of a service: frames merged over its workers and over time. No I/O, no looks."""
