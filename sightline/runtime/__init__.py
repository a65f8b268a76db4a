"""What every process needs: settings, logs, metrics, health, clients, retry, embedded services."""
