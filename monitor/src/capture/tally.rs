//! Counts in memory: one tally for each thread that reads frames.
