"""Other brokers, started by the tests: `make test-brokers`. They stand for the engines an operator scales out on."""
