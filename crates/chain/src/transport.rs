//! The chain as an alloy transport: a provider in the same process, without a socket.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest},
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use serde_json::{Value, value::to_raw_value};
use tower::Service;

use crate::{rpc::RpcError, sequencer::Sequencer};

/// How often alloy asks for new blocks when it waits for a receipt. A block is there when the
/// transaction has been sent, so one look is enough and it should come soon.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A [`tower::Service`] that answers alloy's requests from the chain itself.
///
/// A chain in memory answers at once, in the caller's task: no runtime is needed and the order of
/// answers is the order of requests. A chain with a folder waits for the disk, so it answers on tokio's
/// blocking threads, and must be called within a tokio runtime.
#[derive(Clone, Debug)]
pub struct InProcess(Sequencer);

impl InProcess {
    /// The transport to this chain.
    pub fn new(sequencer: Sequencer) -> Self {
        Self(sequencer)
    }
}

impl Sequencer {
    /// An alloy client to this chain: `ProviderBuilder::new().connect_client(sequencer.client())`.
    pub fn client(&self) -> RpcClient {
        RpcClient::new(InProcess::new(self.clone()), true).with_poll_interval(POLL_INTERVAL)
    }
}

impl Service<RequestPacket> for InProcess {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let sequencer = self.0.clone();
        Box::pin(async move {
            if !sequencer.chain().is_durable() {
                return answer(&sequencer, &packet);
            }
            tokio::task::spawn_blocking(move || answer(&sequencer, &packet)).await.map_err(TransportErrorKind::custom)?
        })
    }
}

fn answer(sequencer: &Sequencer, packet: &RequestPacket) -> Result<ResponsePacket, TransportError> {
    match packet {
        RequestPacket::Single(request) => Ok(ResponsePacket::Single(one(sequencer, request)?)),
        RequestPacket::Batch(batch) => {
            let answers = batch.iter().map(|request| one(sequencer, request));
            Ok(ResponsePacket::Batch(answers.collect::<Result<_, _>>()?))
        }
    }
}

fn one(sequencer: &Sequencer, request: &SerializedRequest) -> Result<Response, TransportError> {
    let params = request.params().map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get()));
    let params = params.map_err(TransportError::ser_err)?;
    let payload = match sequencer.request(request.method(), params) {
        Ok(result) => ResponsePayload::Success(to_raw_value(&result).map_err(TransportError::ser_err)?),
        Err(error) => ResponsePayload::Failure(payload(error)?),
    };
    Ok(Response { id: request.id().clone(), payload })
}

fn payload(error: RpcError) -> Result<ErrorPayload, TransportError> {
    let data = error.data.as_ref().map(to_raw_value).transpose().map_err(TransportError::ser_err)?;
    Ok(ErrorPayload { code: error.code, message: error.message.into(), data })
}
