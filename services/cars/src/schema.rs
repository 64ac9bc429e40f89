//! The tables. Cars and sales.

/// The steps that make them: append, never edit. See [`demo_common::db::migrate`].
pub(crate) const MIGRATIONS: &[&str] = &["
    CREATE TABLE cars (
        car_id   INTEGER PRIMARY KEY AUTOINCREMENT,
        model    TEXT NOT NULL,
        price    INTEGER NOT NULL CHECK (price > 0),
        owner_id TEXT
    ) STRICT;
    CREATE TABLE sales (
        sale_id    TEXT PRIMARY KEY,
        car_id     INTEGER NOT NULL,
        buyer_id   TEXT NOT NULL,
        price      INTEGER NOT NULL,
        state      TEXT NOT NULL CHECK (state IN ('pending', 'sold', 'voiding', 'void')),
        touched_at INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX one_open_sale_per_car ON sales (car_id) WHERE state IN ('pending', 'voiding');
    CREATE INDEX open_sales ON sales (touched_at) WHERE state IN ('pending', 'voiding');
    INSERT INTO cars (model, price) VALUES
        ('Aurora 1.4', 950000),
        ('Aurora 1.8 Estate', 1240000),
        ('Birch City', 780000),
        ('Birch City Electric', 1450000),
        ('Comet GT', 3900000),
        ('Comet GT Cabriolet', 4350000),
        ('Delta Van', 1800000),
        ('Delta Camper', 4700000),
        ('Ember Sport', 2650000),
        ('Ember Sport Plus', 2990000),
        ('Fjord 4x4', 3150000),
        ('Fjord 4x4 Long', 3480000),
        ('Glacier Electric', 5200000),
        ('Harbour Pick-up', 2100000),
        ('Iris Mini', 590000),
        ('Juniper Hybrid', 2380000),
        ('Kestrel Coupe', 6400000),
        ('Lagoon Cabriolet', 3300000),
        ('Meteor S', 8750000),
        ('Nimbus Seven', 2750000),
        ('Orbit One', 690000),
        ('Pioneer 8', 4100000),
        ('Quartz Limousine', 12500000),
        ('Ridge Runner', 1990000);
"];
