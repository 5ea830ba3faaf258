"""Reading: what a reply finally says, or nothing."""
