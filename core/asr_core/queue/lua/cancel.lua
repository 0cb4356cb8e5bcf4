-- needs: ending, tasks
-- Ends an open task; a worker that has it learns at its next renewal. Replies {verdict, state}.
local task = read(args.task_id)
if not task or (args.tenant ~= '' and task.tenant ~= args.tenant) then return {'missing', ''} end
if task.state == 'cancelled' then return {'ok', task.state} end
if not is_open(task) then return {'conflict', task.state} end
close(args.task_id, task, 'cancelled')
return {'ok', 'cancelled'}
