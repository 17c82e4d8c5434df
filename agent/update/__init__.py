"""Another version of the agent: fetched here, installed by the package manager, judged from outside (judge.sh)."""
