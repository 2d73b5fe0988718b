"""What Prometheus is shown: the table of metrics, and how a page of them is made."""
