"""What model formats share: how layouts are told, and what share of a model was converted."""
