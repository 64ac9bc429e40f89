//! The roles of one service and which of them inherits which.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use crate::id::{Permission, RoleName, ServiceId};
use crate::store::{Page, Role, StoreError, Tx};

/// What the roles of a service are made of.
#[derive(Debug, Clone, Default)]
pub struct RoleTable(BTreeMap<RoleName, Role>);

/// Roles that would inherit each other: each inherits the next, the last the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Cycle(pub Vec<RoleName>);

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("roles would inherit each other: ")?;
        for role in &self.0 {
            write!(f, "{role} → ")?;
        }
        self.0.first().map_or(Ok(()), |first| write!(f, "{first}"))
    }
}

impl FromIterator<Role> for RoleTable {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().map(|role| (role.name.clone(), role)).collect())
    }
}

/// Roles of one read.
const AT_A_TIME: usize = 200;

impl RoleTable {
    /// Reads the roles of a service.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read(tx: &dyn Tx, service: &ServiceId) -> Result<Self, StoreError> {
        let mut roles: Vec<Role> = Vec::new();
        loop {
            let page = Page { after: roles.last().map(|role| role.name.to_string()), limit: AT_A_TIME };
            let mut found = tx.roles_of_service(service, &page)?;
            let is_last = found.len() < AT_A_TIME;
            roles.append(&mut found);
            if is_last {
                return Ok(roles.into_iter().collect());
            }
        }
    }

    /// What a role is made of.
    pub fn get(&self, name: &RoleName) -> Option<&Role> {
        self.0.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &RoleName> {
        self.0.keys()
    }

    /// A role and all that it inherits.
    pub fn closure<'a>(&'a self, name: &'a RoleName) -> BTreeSet<&'a RoleName> {
        let (mut seen, mut left) = (BTreeSet::new(), vec![name]);
        while let Some(name) = left.pop() {
            if seen.insert(name) {
                left.extend(self.inherited(name));
            }
        }
        seen
    }

    /// What a role permits, by itself or by what it inherits; in order of name, each once.
    pub fn permissions(&self, name: &RoleName) -> Vec<Permission> {
        let closure = self.closure(name);
        let permissions = closure.iter().filter_map(|name| self.get(name)).flat_map(|role| &role.permissions);
        permissions.collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// Each role with what it permits.
    pub fn flattened(&self) -> Vec<(RoleName, Vec<Permission>)> {
        self.names().map(|name| (name.clone(), self.permissions(name))).collect()
    }

    /// One of the shortest ways from a role to one that is wanted, both ends included.
    pub fn way(&self, from: &RoleName, is_wanted: impl Fn(&Role) -> bool) -> Option<Vec<RoleName>> {
        let mut came_from: BTreeMap<&RoleName, Option<&RoleName>> = BTreeMap::from([(from, None)]);
        let mut left = VecDeque::from([from]);
        while let Some(name) = left.pop_front() {
            let Some(role) = self.get(name) else { continue };
            if is_wanted(role) {
                let mut way: Vec<_> =
                    std::iter::successors(Some(name), |name| came_from.get(name).copied().flatten()).cloned().collect();
                way.reverse();
                return Some(way);
            }
            for next in self.inherited(name) {
                if !came_from.contains_key(next) {
                    came_from.insert(next, Some(name));
                    left.push_back(next);
                }
            }
        }
        None
    }

    /// Puts a role in, in place of the one that has its name.
    ///
    /// # Errors
    /// When it would inherit itself, through whichever others; then nothing was changed.
    pub fn put(&mut self, role: Role) -> Result<(), Cycle> {
        let name = &role.name;
        let back = role.inherits.iter().find_map(|next| {
            if next == name { Some(Vec::new()) } else { self.way(next, |role| role.inherits.contains(name)) }
        });
        if let Some(mut cycle) = back {
            cycle.insert(0, name.clone());
            return Err(Cycle(cycle));
        }
        self.0.insert(role.name.clone(), role);
        Ok(())
    }

    fn inherited<'a>(&'a self, name: &RoleName) -> impl Iterator<Item = &'a RoleName> {
        self.get(name).into_iter().flat_map(|role| &role.inherits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: impl fmt::Display) -> RoleName {
        text.to_string().parse().unwrap()
    }

    fn role(text: &str, permissions: &[&str], inherits: &[&str]) -> Role {
        Role {
            name: name(text),
            permissions: permissions.iter().map(|text| text.parse().unwrap()).collect(),
            inherits: inherits.iter().map(name).collect(),
            version: 0,
        }
    }

    fn company() -> RoleTable {
        [
            role("buyer", &["cars:buy", "cars:look"], &[]),
            role("clerk", &["cars:look"], &[]),
            role("seller", &["cars:sell"], &["clerk"]),
            role("boss", &["cars:delete"], &["buyer", "seller"]),
        ]
        .into_iter()
        .collect()
    }

    fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
        items.into_iter().map(|item| item.to_string()).collect()
    }

    #[test]
    fn a_role_permits_what_it_inherits() {
        let table = company();
        assert_eq!(texts(table.permissions(&name("boss"))), ["cars:buy", "cars:delete", "cars:look", "cars:sell"]);
        assert_eq!(texts(table.permissions(&name("seller"))), ["cars:look", "cars:sell"]);
        assert_eq!(texts(table.permissions(&name("nobody"))), [""; 0]);
        assert_eq!(texts(table.closure(&name("boss"))), ["boss", "buyer", "clerk", "seller"]);
    }

    #[test]
    fn the_way_to_a_permission_is_a_shortest_one() {
        let table = company();
        let way = |permission: &str| {
            let permission = permission.parse().unwrap();
            table.way(&name("boss"), |role| role.permissions.contains(&permission)).map(texts)
        };
        assert_eq!(way("cars:delete").unwrap(), ["boss"]);
        assert_eq!(way("cars:look").unwrap(), ["boss", "buyer"]);
        assert_eq!(way("cars:sell").unwrap(), ["boss", "seller"]);
        assert_eq!(way("cars:fly"), None);
    }

    #[test]
    fn cycles_are_refused_and_named() {
        let mut table = company();
        let refused = table.put(role("clerk", &[], &["boss"])).unwrap_err();
        assert_eq!(texts(refused.0.clone()), ["clerk", "boss", "seller"]);
        assert!(refused.to_string().ends_with("clerk → boss → seller → clerk"));
        assert_eq!(texts(table.put(role("clerk", &[], &["clerk"])).unwrap_err().0), ["clerk"]);
        assert_eq!(texts(table.permissions(&name("clerk"))), ["cars:look"], "nothing was changed");
        table.put(role("clerk", &[], &["buyer"])).unwrap();
    }

    /// Edges among a few roles, as somebody might ask for them one after the other.
    fn wishes() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        prop::collection::vec((0..8_u8, prop::collection::vec(0..8_u8, 0..4)), 0..40)
    }

    fn built(wishes: &[(u8, Vec<u8>)]) -> (RoleTable, Vec<bool>) {
        let numbered = |n: u8, inherits: &[u8]| Role {
            name: name(format!("r{n}")),
            permissions: vec![format!("p:{n}").parse().unwrap()],
            inherits: inherits.iter().map(|n| name(format!("r{n}"))).collect(),
            version: 0,
        };
        let mut table: RoleTable = (0..8).map(|n| numbered(n, &[])).collect();
        let taken = wishes.iter().map(|(n, inherits)| table.put(numbered(*n, inherits)).is_ok()).collect();
        (table, taken)
    }

    /// What can be reached, by multiplying matrices: another way than the one under test.
    fn reached(table: &RoleTable) -> [[bool; 8]; 8] {
        let mut reach = [[false; 8]; 8];
        for (from, row) in reach.iter_mut().enumerate() {
            row[from] = true;
            for to in &table.get(&name(format!("r{from}"))).unwrap().inherits {
                row[to.as_str()[1..].parse::<usize>().unwrap()] = true;
            }
        }
        for middle in 0..8 {
            for from in 0..8 {
                for to in 0..8 {
                    reach[from][to] |= reach[from][middle] && reach[middle][to];
                }
            }
        }
        reach
    }

    proptest! {
        #[test]
        fn no_role_ever_inherits_itself(wishes in wishes()) {
            let (table, _) = built(&wishes);
            for name in table.names() {
                for inherited in &table.get(name).unwrap().inherits {
                    prop_assert!(!table.closure(inherited).contains(name), "{name}");
                }
            }
        }

        #[test]
        fn what_makes_no_cycle_is_taken(wishes in wishes()) {
            for end in 1..=wishes.len() {
                let (before, _) = built(&wishes[..end - 1]);
                let (_, taken) = built(&wishes[..end]);
                let (n, inherits) = &wishes[end - 1];
                // What it inherited before does not count: it is replaced.
                let mut without = before.clone();
                without.put(role(&format!("r{n}"), &[], &[])).unwrap();
                let reach = reached(&without);
                let makes_cycle = inherits.iter().any(|to| reach[usize::from(*to)][usize::from(*n)]);
                prop_assert_eq!(taken[end - 1], !makes_cycle);
            }
        }

        #[test]
        fn permissions_are_those_of_all_that_can_be_reached(wishes in wishes()) {
            let (table, _) = built(&wishes);
            let reach = reached(&table);
            for (n, row) in reach.iter().enumerate() {
                let expected: Vec<_> = (0..8).filter(|to| row[*to]).map(|to| format!("p:{to}")).collect();
                prop_assert_eq!(texts(table.permissions(&name(format!("r{n}")))), expected);
            }
        }

        #[test]
        fn a_way_follows_what_is_inherited(wishes in wishes(), from in 0..8_u8, to in 0..8_u8) {
            let (table, _) = built(&wishes);
            let (from, to) = (name(format!("r{from}")), name(format!("r{to}")));
            let way = table.way(&from, |role| role.name == to);
            prop_assert_eq!(way.is_some(), table.closure(&from).contains(&to));
            if let Some(way) = way {
                prop_assert_eq!((way.first(), way.last()), (Some(&from), Some(&to)));
                for pair in way.windows(2) {
                    prop_assert!(table.get(&pair[0]).unwrap().inherits.contains(&pair[1]));
                }
            }
        }
    }
}
