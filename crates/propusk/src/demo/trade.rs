//! A role given and taken, and a purchase over two services.

use reqwest::Method;
use serde_json::Value;

use super::screen::{Cut, Shown};
use super::{Tour, enforced};

const ROLE: &str = "cars/buyer";

pub(super) async fn get_role(tour: &mut Tour) -> Shown {
    let hero = tour.hero()?;
    // Before anything is shown: without an administrator there is no story.
    tour.admin_token().await?;
    let car = free_car(tour).await?.0;
    let buy = format!("/cars/{car}/buy");
    let call = tour.gateway(Method::POST, &buy);
    tour.browse(call).await?.expect_problem(403, "missing-permission")?;
    let given = tour.administer(Method::PUT, &format!("/users/{}/roles/{ROLE}", hero.id)).await?.expect(200)?;
    let reached = enforced(&given)?;
    let call = tour.gateway(Method::GET, "/cars/-/whoami/elite");
    let me = tour.browse(call).await?.expect(200)?;
    let roles = me.json.get("roles").and_then(Value::as_array);
    if roles.is_some_and(|roles| roles.contains(&Value::from("buyer"))) {
        return Ok(format!("{reached}, and there in the same session: nobody signed in again"));
    }
    Err(Cut::Failed(format!("the role is not there: {}", me.in_short())))
}

pub(super) async fn buy(tour: &mut Tour) -> Shown {
    let hero = tour.hero()?;
    tour.admin_token().await?;
    let before = balance(tour).await?;
    let (car, price) = free_car(tour).await?;
    let buy = format!("/cars/{car}/buy");
    let call = tour.gateway(Method::POST, &buy);
    let sold = tour.browse(call).await?.expect(200)?;
    if sold.text("/owner_id")? != hero.id {
        return Err(Cut::Failed(format!("sold to somebody else: {}", sold.in_short())));
    }
    let after = balance(tour).await?;
    if before - price != after {
        return Err(Cut::Failed(format!("{before} less {price} is not {after}")));
    }
    let call = tour.gateway(Method::POST, &buy);
    tour.browse(call).await?.expect_problem(409, "already-sold")?;
    Ok(format!("{before} − {price} = {after}: cars charged it at users, acting for {}", hero.username))
}

pub(super) async fn lose_role(tour: &mut Tour) -> Shown {
    let hero = tour.hero()?;
    tour.admin_token().await?;
    let tokens = tour.login("cars").await?;
    let whoami = tour.service("cars", Method::GET, "/cars/-/whoami/elite")?.bearer(tokens.access.expose());
    whoami.send(&tour.screen).await?.expect(200)?;
    let taken = tour.administer(Method::DELETE, &format!("/users/{}/roles/{ROLE}", hero.id)).await?.expect(200)?;
    let reached = enforced(&taken)?;
    let whoami = tour.service("cars", Method::GET, "/cars/-/whoami/elite")?.bearer(tokens.access.expose());
    whoami.send(&tour.screen).await?.expect_problem(401, "token-stale")?;
    let car = free_car(tour).await?.0;
    let buy = format!("/cars/{car}/buy");
    let call = tour.gateway(Method::POST, &buy);
    tour.browse(call).await?.expect_problem(403, "missing-permission")?;
    Ok(format!("{reached}: the token from before is stale, and a fresh one has no role"))
}

/// A car that nobody owns, and its price.
async fn free_car(tour: &mut Tour) -> Result<(String, i64), Cut> {
    let call = tour.gateway(Method::GET, "/cars");
    let cars = tour.browse(call).await?.expect(200)?;
    let free = cars.json.as_array().into_iter().flatten().find(|car| car.get("owner_id").is_some_and(Value::is_null));
    let free = free.and_then(|car| Some((car.get("car_id")?.as_str()?.to_owned(), car.get("price")?.as_i64()?)));
    free.ok_or_else(|| Cut::Skipped("every car is sold; start with another --data DIR".to_owned()))
}

async fn balance(tour: &mut Tour) -> Result<i64, Cut> {
    let call = tour.gateway(Method::GET, "/users/me");
    tour.browse(call).await?.expect(200)?.number("/balance")
}
