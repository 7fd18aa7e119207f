"""The classic mistakes of porting, each as an edit of npbert's own source."""
