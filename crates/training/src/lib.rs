//! Data sets, patient-wise partitions and federated averaging for the demo.
