"""A backfill of the last three days in eight shards, every morning, for a team that has Airflow. Workers need headrace and its configuration in /opt/headrace."""

import json
import subprocess
from datetime import datetime, timedelta

from airflow.sdk import dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

SHARDS = 8

# The exit codes that another try does not help: a wrong configuration, and something that waits for a person.
FINAL = {2, 42}


@task(retries=5, retry_delay=timedelta(minutes=5), retry_exponential_backoff=True)
def backfill(shard: int) -> dict:
    """Reads one shard; a try that follows goes on where the last one ended."""
    end = get_current_context()["data_interval_end"].date()
    window = ["--from", str(end - timedelta(days=3)), "--to", str(end - timedelta(days=1))]
    command = ["node_modules/.bin/headrace", "backfill", "--shard", f"{shard}/{SHARDS}", *window, "--json"]
    ran = subprocess.run(command, cwd="/opt/headrace", stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode in FINAL:
        raise AirflowFailException(f"headrace ended with {ran.returncode}: {ran.stdout}")
    if ran.returncode != 0:
        raise RuntimeError(f"headrace ended with {ran.returncode}: {ran.stdout}")
    return json.loads(ran.stdout.splitlines()[-1])


@dag(schedule="0 6 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def headrace():
    backfill.expand(shard=list(range(SHARDS)))


headrace()
