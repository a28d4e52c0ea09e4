-- draft -> blocked: every node of a flow, in order.
INSERT INTO jobs (id, record, name, queue, priority, state, ord, limit_key, cost, flow, waits)
SELECT n.id, d.record, n.name, n.queue, d.priority, 4, ?2 + n.ord, d.limit_key, d.cost, n.flow, 1
FROM flow_nodes AS n JOIN flow_drafts AS d ON d.id = n.id
WHERE n.flow = ?1
