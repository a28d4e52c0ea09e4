//! Renews an access token before it ends.

use crate::limits::token;
use legwork::{Context, Failure};
use runnerly::app::App;
use runnerly::jobs::RefreshToken;

pub(crate) async fn refresh(job: RefreshToken, cx: Context<App>) -> Result<(), Failure> {
    token(&cx, job.athlete, None).await.map(drop)
}
