// viem as a user would hold it against a chain whose counter contract the chain's tests deployed:
//   node tools/client.mjs URL COUNTER PRIVATE_KEY        prints one JSON object with what it saw
import { createPublicClient, createWalletClient, defineChain, http, pad, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const [url, counter, key] = process.argv.slice(2);
const chain = defineChain({
  id: 31337,
  name: "embedded",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const reader = createPublicClient({ chain, transport: http(), pollingInterval: 50 });
const writer = createWalletClient({ chain, transport: http(), account: privateKeyToAccount(key) });
const word = (value) => pad(toHex(value), { size: 32 });

const hash = await writer.sendTransaction({ to: counter, data: word(0) });
const receipt = await reader.waitForTransactionReceipt({ hash });
const { data: count } = await reader.call({ to: counter, data: word(1) });
const logs = await reader.getLogs({ address: counter, fromBlock: 0n, toBlock: "latest" });
const block = await reader.getBlock({ blockTag: "finalized" });
const slot = await reader.getStorageAt({ address: counter, slot: "0x0" });
const refusal = await reader.call({ to: counter, data: word(2) }).then(
  () => "none",
  (error) => error.walk((cause) => cause.data !== undefined)?.data ?? String(error),
);
const poor = await writer
  .sendTransaction({ to: counter, data: word(0), nonce: 0 })
  .then(() => "none", (error) => error.details);

console.log(
  JSON.stringify({
    chain: await reader.getChainId(),
    status: receipt.status,
    gas: Number(receipt.gasUsed),
    count: Number(count),
    slot: Number(slot),
    logs: logs.map((log) => log.topics[1]),
    mined: block.transactions.includes(hash),
    refusal: typeof refusal === "string" ? refusal : refusal?.data,
    poor,
  }),
);
