"""The disposal queue: life cycle, clocks and calendars, evidence, reports."""
