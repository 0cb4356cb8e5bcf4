-- needs: ending, statistics, tasks
-- Records results. The token decides, not the owner: a task reaped but begun by nobody is still good work.
-- `duration_ms` is what was decoded; until then the task bears what its file claims. `speech_ms` is how much of
-- it is speech. A worker of a release before they were told sends none.
-- Replies one outcome per task; a replay of a finish that worked is 'ok'.
local outcomes = {}
for i, item in ipairs(args.tasks) do
  local task = read(item.task_id)
  if not task then
    outcomes[i] = 'gone'
  elseif task.state == 'cancelled' then
    outcomes[i] = 'cancelled'
  elseif task.token ~= item.token or task.state == 'failed' then
    outcomes[i] = 'fenced'
  elseif task.state == 'completed' then
    outcomes[i] = 'ok'
  else
    redis.call('HSET', K.task(item.task_id), 'result', item.result, 'progress', '1')
    task.speech_ms = item.speech_ms
    close(item.task_id, task, 'completed', item.duration_ms)
    count(task, 'audio_ms', task.duration_ms)
    count(task, 'processing_ms', item.processing_ms)
    total(task, 'audio_ms', task.duration_ms)
    if item.speech_ms then
      count(task, 'speech_ms', item.speech_ms)
      total(task, 'speech_ms', item.speech_ms)
    end
    total(task, 'processing_ms', item.processing_ms)
    outcomes[i] = 'ok'
  end
end
return outcomes
