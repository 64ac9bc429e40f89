//! Permissions: `service:action`, and `service:*` for every action of one service.

/// Whether one of `granted` covers `wanted`: by the same name, or as `propusk:*` covers `propusk:x`.
///
/// ```
/// let granted = ["cars:buy".to_owned(), "propusk:*".to_owned()];
/// assert!(propusk_verify::permits(&granted, "cars:buy"));
/// assert!(propusk_verify::permits(&granted, "propusk:users"));
/// assert!(!propusk_verify::permits(&granted, "cars:delete"));
/// ```
pub fn permits(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|granted| granted == wanted || covers(granted, wanted))
}

fn covers(granted: &str, wanted: &str) -> bool {
    let Some(service) = granted.strip_suffix(":*") else { return false };
    let action = wanted.strip_prefix(service).and_then(|rest| rest.strip_prefix(':'));
    !service.is_empty() && action.is_some_and(|action| !action.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_one_service_and_nothing_else() {
        let permits = |granted: &str, wanted| permits(&[granted.to_owned()], wanted);
        assert!(permits("cars:*", "cars:buy") && permits("cars:*", "cars:*") && permits("cars:buy", "cars:buy"));
        assert!(!permits("cars:*", "carsx:buy"));
        assert!(!permits("cars:*", "cars:"));
        assert!(!permits("cars:*", "cars"));
        assert!(!permits("*", "cars:buy") && !permits(":*", ":buy") && !permits("c*", "cars:buy"));
        assert!(!permits("cars:b*", "cars:buy"));
        assert!(!permits("cars:buy", "cars:*"));
        assert!(!super::permits(&[], "cars:buy"));
    }
}
