"""The harness: the correction loop inside Inspect, and records out of Inspect's logs."""
