"""What a fleet reports, kept in PostgreSQL: `modem-support office`. Needs psycopg (extra `office`), never a device."""
