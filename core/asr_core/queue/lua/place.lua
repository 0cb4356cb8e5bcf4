-- needs: tasks, tenant_view
-- One-based place of a task among those of its tenant that wait in its lane; 0 if it does not wait.
local task = read(args.task_id)
return task and task.state == 'queued' and place_of(args.task_id, task) or 0
