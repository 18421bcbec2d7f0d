"""PostgreSQL: the embedded server, the pool, migrations, and what the planes read from and write to it."""
