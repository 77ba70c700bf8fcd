//! An alloy provider works unchanged, in process and over HTTP.

use alloy::{
    eips::BlockId,
    network::EthereumWallet,
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::{Filter, TransactionRequest},
    transports::RpcError,
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use consilium_chain::{Chain, Location, MAX_BODY_BYTES, Sequencer, serve, system_clock};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::fixtures::*;

fn in_process(sequencer: &Sequencer) -> DynProvider {
    let wallet = EthereumWallet::from(key(1));
    ProviderBuilder::new().wallet(wallet).connect_client(sequencer.client()).erased()
}

struct Served {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn over_http(sequencer: Sequencer) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move { drop(stopped.await) };
    let task = tokio::spawn(serve(sequencer, listener, shutdown));
    Served { url, stop, task }
}

/// What every client does: deploy, estimate, send, wait, read, look for logs, see a revert.
async fn scenario(provider: &DynProvider) {
    let request = TransactionRequest::default().input(Bytes::from(counter_code()).into());
    let request = TransactionRequest { to: Some(TxKind::Create), ..request };
    let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
    let contract = receipt.contract_address.unwrap();

    let ask = |word| TransactionRequest::default().to(contract).input(argument(word).into());
    let estimate = provider.estimate_gas(ask(INCREMENT)).await.unwrap();
    for _ in 0..2 {
        let pending = provider.send_transaction(ask(INCREMENT)).await.unwrap();
        let receipt = pending.get_receipt().await.unwrap();
        assert!(receipt.status() && receipt.gas_used <= estimate);
    }
    assert_eq!(provider.call(ask(READ)).await.unwrap(), argument(2));
    assert_eq!(provider.get_storage_at(contract, U256::ZERO).await.unwrap(), U256::from(2));

    let filter = Filter::new().address(contract).from_block(0).topic1(B256::from(U256::from(2)));
    assert_eq!(provider.get_logs(&filter).await.unwrap().len(), 1);
    let block = provider.get_block(BlockId::latest()).full().await.unwrap().unwrap();
    assert_eq!(block.header.inner.hash_slow(), block.header.hash);
    assert_eq!(block.transactions.len(), 1);
    let receipts = provider.get_block_receipts(BlockId::latest()).await.unwrap().unwrap();
    assert_eq!(receipts.len(), 1);

    let RpcError::ErrorResp(error) = provider.call(ask(REVERT)).await.unwrap_err() else { panic!() };
    assert_eq!(error.code, 3);
    assert_eq!(error.as_revert_data().unwrap().as_ref(), [0xde, 0xad, 0xbe, 0xef]);
    let bob = Address::repeat_byte(0xb0);
    let pay = TransactionRequest::default().to(bob).value(ether(2));
    provider.send_transaction(pay).await.unwrap().get_receipt().await.unwrap();
    assert_eq!(provider.get_balance(bob).await.unwrap(), ether(2));
}

#[tokio::test]
async fn in_process_in_memory() {
    let sequencer = Sequencer::new(chain(), system_clock);
    scenario(&in_process(&sequencer)).await;
    assert_eq!(sequencer.chain().head().number(), 4);
}

#[tokio::test]
async fn in_process_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Folder(folder.path().into());
    let chain = Chain::open(&genesis(), location).unwrap();
    scenario(&in_process(&Sequencer::new(chain, system_clock))).await;
}

#[tokio::test]
async fn over_http_until_told_to_stop() {
    let sequencer = Sequencer::new(chain(), system_clock);
    let served = over_http(sequencer).await;
    let wallet = EthereumWallet::from(key(1));
    let provider = ProviderBuilder::new().wallet(wallet).connect_http(served.url.parse().unwrap());
    scenario(&provider.erased()).await;
    served.stop.send(()).unwrap();
    served.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn batches_go_through_the_transport() {
    let sequencer = Sequencer::new(chain(), system_clock);
    let client = sequencer.client();
    let mut batch = client.new_batch();
    let id = batch.add_call::<_, U256>("eth_chainId", &()).unwrap();
    let number = batch.add_call::<_, U256>("eth_blockNumber", &()).unwrap();
    batch.send().await.unwrap();
    assert_eq!(id.await.unwrap(), U256::from(CHAIN_ID));
    assert_eq!(number.await.unwrap(), U256::ZERO);
}

#[tokio::test]
async fn bad_bodies_over_http_get_an_answer_and_the_service_goes_on() {
    let served = over_http(Sequencer::new(chain(), system_clock)).await;
    let client = alloy::transports::http::reqwest::Client::new();
    let post = |body: Vec<u8>| client.post(&served.url).body(body).send();

    let answer = post(b"{".to_vec()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("-32700"));
    let answer = post(vec![b' '; MAX_BODY_BYTES + 1]).await.unwrap();
    assert_eq!(answer.status(), 413);
    assert!(answer.text().await.unwrap().contains("-32600"));
    let notification = br#"{"jsonrpc":"2.0","method":"eth_chainId"}"#.to_vec();
    assert_eq!(post(notification).await.unwrap().status(), 204);
    assert_eq!(client.get(&served.url).send().await.unwrap().status(), 405);
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#.to_vec();
    assert!(post(body).await.unwrap().text().await.unwrap().contains("0x7a69"));
}

#[tokio::test]
async fn many_senders_at_once() {
    let genesis = genesis().fund((100..140).map(|n| key(n).address()), ether(1));
    let sequencer = Sequencer::new(Chain::in_memory(&genesis), system_clock);
    let served = over_http(sequencer.clone()).await;
    let mut tasks = Vec::new();
    for who in 100..140 {
        let url = served.url.parse().unwrap();
        tasks.push(tokio::spawn(async move {
            let provider = ProviderBuilder::new().connect_http(url);
            let raw = sign(who, plain(0));
            let pending = provider.send_raw_transaction(&raw).await.unwrap();
            assert!(pending.get_receipt().await.unwrap().status());
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sequencer.chain().head().number(), 40);
}
