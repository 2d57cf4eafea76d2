"""What people are told of: rules in conf/alerts.yaml, one alert per episode, channels."""
