"""What workers and hosts tell each other of cached answers: over Redis, else over sockets, and through PostgreSQL."""
