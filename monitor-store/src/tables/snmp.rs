//! SNMP engines: our own boots counter, and what senders' messages must be newer than (RFC 3414 section 2).

use monitor_core::snmp::{LocalEngine, RemoteEngine};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::super::StoreError;
use crate::sql::Connection;

/// RFC 3414 section 2.2.2: the counter stays at its highest value.
const BOOTS_MAX: u32 = i32::MAX as u32;

/// RFC 3411, SnmpEngineID: the first bit set, an enterprise number (32473, RFC 5612: Ringback has none of its own), and
/// format 5, octets. Eight random ones follow.
const ENGINE_ID_PREFIX: [u8; 5] = [0x80, 0x00, 0x7e, 0xd9, 5];

pub(crate) fn start_engine(conn: &Connection) -> Result<LocalEngine, StoreError> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| StoreError::Random)?;
    conn.execute(
        "INSERT INTO local_engine (one, id, boots) VALUES (1, ?1, 0) ON CONFLICT (one) DO NOTHING",
        [[&ENGINE_ID_PREFIX[..], &random].concat()],
    )?;
    Ok(conn.query_row(
        "UPDATE local_engine SET boots = CASE WHEN boots < ?1 THEN boots + 1 ELSE boots END RETURNING id, boots",
        [BOOTS_MAX],
        |row| Ok(LocalEngine { id: row.get(0)?, boots: row.get(1)? }),
    )?)
}

pub(crate) fn remote_engines(conn: &Connection) -> Result<Vec<RemoteEngine>, StoreError> {
    let mut select = conn.prepare_cached("SELECT id, boots, time, received, seen FROM remote_engine ORDER BY id")?;
    let rows = select.query_map((), |row| {
        Ok(RemoteEngine {
            id: row.get(0)?,
            boots: row.get(1)?,
            time: row.get(2)?,
            received: row.get(3)?,
            seen: unpack(&row.get::<_, Vec<u8>>(4)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn put_remote_engine(conn: &Connection, engine: &RemoteEngine) -> Result<(), StoreError> {
    conn.prepare_cached(
        "INSERT INTO remote_engine (id, boots, time, received, seen) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET boots = excluded.boots, time = excluded.time, received = excluded.received,
             seen = excluded.seen",
    )?
    .execute((&engine.id, engine.boots, engine.time, engine.received, pack(&engine.seen)))?;
    Ok(())
}

fn pack(seen: &[(u32, i32)]) -> Vec<u8> {
    seen.iter().flat_map(|(time, id)| [time.to_be_bytes(), id.to_be_bytes()].concat()).collect()
}

fn unpack(bytes: &[u8]) -> Vec<(u32, i32)> {
    let (pairs, _) = bytes.as_chunks::<8>();
    pairs
        .iter()
        .map(|&[a, b, c, d, e, f, g, h]| (u32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h])))
        .collect()
}
