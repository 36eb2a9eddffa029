"""What dcclip asks of a Kubeflow Pipelines server, through the stock client: versions, runs, schedules."""
