"""Reports to authorities 上报: what is said, how it is set, and the way of a report from draft to receipt."""
