"""Write-once object storage."""
