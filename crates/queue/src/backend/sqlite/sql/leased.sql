WITH RECURSIVE member (ids, at) AS (
    SELECT members, 1 FROM batches WHERE open > 0
    UNION ALL
    SELECT ids, at + 16 FROM member WHERE at + 16 < length(ids)
)
SELECT substr(ids, at, 16) FROM member
