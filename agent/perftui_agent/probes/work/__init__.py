"""What requests give away: background tasks, jobs of queues, tasks that outlive them."""
