"""Everything that speaks HTTP: metrics, health, JSON API and status page, all of them readers of one snapshot."""
