"""Faults on a real Kafka: what is killed, stopped or cut off, and that every record still counts once."""
