"""The tokenizer's golden kit: texts, what every stage makes of them, and the check of a port."""
