"""The service for half an hour under good, bad and rude clients, while its workers are killed and replaced."""
