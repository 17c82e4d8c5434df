"""What the household notices: LED and SMS."""
