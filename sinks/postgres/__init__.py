"""The PostgreSQL sink: tables, migrations, reader, writer."""
