"""What a model is: its config, parameters, inputs, outputs, heads, loading and saving."""
