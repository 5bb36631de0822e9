"""`moderation-monitor demo`: the whole service on one machine, with simulated traffic and an incident."""
