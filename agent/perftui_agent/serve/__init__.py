"""How clients find this worker and what they are told."""
