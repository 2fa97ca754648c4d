"""Working days of the State Council (国务院办公厅节假日安排): data with its source, and what is counted by it."""
