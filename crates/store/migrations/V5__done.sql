-- What is done once in the life of the data.
CREATE TABLE done (
    what TEXT    PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
