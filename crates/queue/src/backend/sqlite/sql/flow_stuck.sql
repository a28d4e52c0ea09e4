-- Nodes of a slice that wait although nothing that they wait for is unfinished.
SELECT n.id FROM flow_nodes AS n JOIN jobs AS j ON j.id = n.id
WHERE n.flow = ?1 AND n.ord >= ?2 AND n.ord < ?3 AND n.outcome IS NULL
  AND j.state = 4 AND j.waits = 1
  AND NOT EXISTS (
      SELECT 1 FROM flow_edges AS e JOIN flow_nodes AS s ON s.id = e.src
      WHERE e.dst = n.id AND e.done = 0 AND s.outcome IS NULL
  )
