"""What a person sees: plans in words, progress, summaries and pictures."""
