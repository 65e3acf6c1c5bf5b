//! The JSON that people parse: signals, intervals, the summary. The keys are stable.
